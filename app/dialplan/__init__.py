"""The dial plan, pure: who calls, both numbers, the plan and the live counters in; a decision with its trail out."""
