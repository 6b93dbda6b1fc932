"""Parts whose rows lie with others, perhaps on other machines: what they are asked, and what they answer."""
