"""Starting the agent over any transport: the command line, sudo, and why it did not start."""
