"""What collections are asked, and what they answer."""
