"""The mapping: the file, its rules, and how they are applied."""
