"""SSH by this machine's own ssh program, and its errors in mailprov's sentences."""
