"""Rows on other machines: a view without rows, the messages that its shard sends, and the responses of the hosts.

A place is the row's number here, so any message may go to any replica. One message carries what most answers need,
values too, because both sides weigh rows by the same code. `view.py` is the place to start reading.
"""
