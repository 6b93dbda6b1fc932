"""The models of all JSON that requests and responses of the API contain. Only the API imports them."""
