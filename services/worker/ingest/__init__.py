"""Pictures that are there already, in folders and buckets, become rows."""
