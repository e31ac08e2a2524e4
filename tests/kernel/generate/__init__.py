"""Random hosts, rulesets and packets. One seed always gives the same; every rule and packet is one that somebody could write."""
