"""DunAudit: audit of loan-collection contacts against law and the lender's own policy."""

__version__ = "0.1.0"
