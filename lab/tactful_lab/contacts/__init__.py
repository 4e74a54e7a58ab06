"""Contact response: does a household that is sent a campaign redeem one of its coupons?

The contacts were *targeted* by the shop, not randomised: who is contacted, how often and with what depends on how they
shop. So response may be predicted from this data, but no causal effect, and no causal fatigue, may be read from it.
`CAVEAT` says so, and the benchmark prints it.
"""

CAVEAT = (
    "contacts were targeted by the shop, not randomised: response may be predicted from them, but no causal effect of "
    "a contact, and no causal fatigue from many contacts, may be read from any figure here"
)
