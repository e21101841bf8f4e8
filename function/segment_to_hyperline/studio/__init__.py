"""A page on this machine that edits the mapping, and shows at once what it bills."""
