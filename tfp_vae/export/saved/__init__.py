"""Saved models back in, each looked at before anything is built."""
