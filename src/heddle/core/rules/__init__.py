"""The shared guidance that agents read: which file each agent loads, what is wrong with it, and the block Heddle keeps in it.

Pure: texts and lists of paths in, findings and texts out. Nothing that a rules file says is ever run.
"""
