"""The user's side of a call: checks of the options that users give, and their line on the stack."""
