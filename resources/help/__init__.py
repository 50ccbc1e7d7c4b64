"""The help texts, as Markdown."""
