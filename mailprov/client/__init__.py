"""How a mail program (MUA) is set up for an account: the servers it talks to, and the files that tell it so. Pure.

    settings       which servers an address has: of_account, of_domain
    hosted         the servers of Google and Microsoft, for domains whose mail is there
    autoconfig     the file of Thunderbird and many others
    autodiscover   the answer that Outlook asks for
    mobileconfig   the profile of Apple's programs
    qr             what Thunderbird for Android reads from a QR code
    reading        the servers that such files name, as a program takes them from there
    sheet          a printable page for each account

No file of a domain (of_domain) names an account: such files are for everybody to fetch.
"""
