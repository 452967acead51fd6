"""The aggregates, a room each: state, index, rules, evolve, and the descriptor that joins them."""
