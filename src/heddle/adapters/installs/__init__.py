"""Package tools: the recipes that come with Heddle, and what the person's set-up of each must reach."""
