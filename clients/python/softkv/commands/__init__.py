"""The commands of `softkv` that call a running service through the client, one file for each. They come with
`softkv-client[cli]`.
"""
