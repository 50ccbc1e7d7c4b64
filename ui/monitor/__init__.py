"""What happens now and what happened: gauges, live calls, states, rejected sources, call records."""
