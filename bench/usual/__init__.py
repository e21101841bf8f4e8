"""The usual function, see app.py."""
