"""Readers of pictures: each says what a picture shows, so that a drawing can be held against its caption."""
