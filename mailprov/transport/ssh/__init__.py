"""SSH by paramiko: dialling, host keys, logins, jump hosts, and the exec that the agent runs in (`client`)."""
