"""The inventory file is edited for its user, and nothing else in it changes.

accounts    an account added, changed or removed: text → text
file        the text on the disk: written whole or not at all, and put back where an apply fails
nodes       where everything stands in the text
splices     cutting it there
"""
