"""Orders: from a creation template or an order container to a checked request, to prices, to a guest.

createObject, generateOrderTemplate, verifyOrder and placeOrder all go through here, so they check the same
things and come to the same prices. Nothing is written before everything has been checked.
"""
