"""`vending check`: what an account lacks for a deployment, before it is made."""
