"""What a host can have, one module or folder for each thing: its key in the inventory, packages, files, services."""
