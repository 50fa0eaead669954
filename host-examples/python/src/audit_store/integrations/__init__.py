"""Agents' frameworks whose tool calls are recorded: a module each, which needs that framework and no other."""
