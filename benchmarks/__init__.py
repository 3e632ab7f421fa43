"""The figures that README quotes, each remade by one command."""
