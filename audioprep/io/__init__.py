"""Files in, values out: archives, audio, shards, tables and manifests."""
