"""The bench: loads on a whole stack of its own, what each costs, and the floor of the machine in the same run."""
