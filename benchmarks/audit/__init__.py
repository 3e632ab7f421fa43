"""How much of what is planted in real data an audit finds."""
