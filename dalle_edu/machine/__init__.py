"""The machine under the book: how work is spread over its cores, and what it can do."""
