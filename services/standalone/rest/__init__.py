"""REST routes of the operator, beside the gateway's: jobs, dead letters, keys, what is where. All need role admin."""
