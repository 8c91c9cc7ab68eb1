"""Everything that can be asked of Heddle, one module per noun. Front ends only translate it.

A method is an async function of the Desk and one parameter object; `METHODS` in `heddle.api.methods` names them all.
"""
