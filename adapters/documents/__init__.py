"""Attachments and documents: text out of plain text, HTML, RTF, PDF and C-CDA; entries out of C-CDA. Pure.

Every file comes from outside: `safe_xml` refuses what an XML parser must not do for a stranger, `text` reads under caps.
Nothing here follows a URL, opens a file or uses a name that a source gave.
"""
