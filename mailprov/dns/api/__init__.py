"""What drivers of providers with an HTTP API share; the providers themselves are in dns/providers.

`client` is the connection: TLS, errors, limits (`pace`). `driver` makes of it a ZoneDriver; `records` is between the
records of an API and what mailprov means, and says which records of a set an edit touches. `provider` is the base of
the providers, `settings` and `schema` are what the inventory says of them: a token.

urllib3 comes with the extra of a provider (`mailprov[cloudflare]`) and is loaded when the first call is made.
"""
