"""The words and rules of the product: pure, no clock, no chance, no I/O."""
