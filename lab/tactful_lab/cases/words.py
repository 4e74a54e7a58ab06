"""What a case is played on and what may not be concluded: the same sentences in the report and the JSON."""

DATA = {
    "marketplace": (
        "A general marketplace, played on every product category that households of grocery shops bought (The"
        " Complete Journey, 84.51°). These are grocery shoppers: they buy the same things every week, and their"
        " own history is hard to beat. A marketplace with rarer purchases would look otherwise."
    ),
    "fashion": (
        "A fashion shop, played on what the same grocery shops sell to be worn or put on: personal care, make-up,"
        " hosiery, a little apparel and jewelry, by product type. It is small and mostly personal care. No fashion"
        " shop's data were seen."
    ),
}
HOW = (
    "Settings were chosen on the eight weeks from 11 September 2017; everything is measured on the eight weeks"
    " from 6 November, with features and models from earlier days only. Intervals are a bootstrap over households."
    " The tasks were laid out with a look at late weeks of the same year, so these are not the figures of a blind"
    " test."
)
PRIVACY = (
    "Item vectors with an ε come from one release of the households' co-purchases with exact discrete Gaussian"
    " noise (central ε at δ = 1e-6: the shop's backend holds the panel and is trusted). Similarity and"
    " factorisation without an ε promise nothing: their item vectors can show what single households bought."
    " The choice of items and of the vectors' dimensions looked at the same households and is not charged."
)
FREQUENCY = {
    "marketplace": "A rehearsal in the simulated main world. Nobody was sent a push.",
    "fashion": (
        "A rehearsal in the simulated main world, with dearer and rarer orders (margin 15.00, 2 % of"
        " sessions end in one: assumptions). Nobody was sent a push."
    ),
}
DEVICE = (
    "The shop's item vectors are public and go to the device. The person's vector is made there from the device's"
    " own interests, chooses the offers, and is neither sent nor stored. Then the device decides whether to push"
    " at all."
)
NOT_TO_CONCLUDE = (
    "Content and frequency were measured apart: no data say how a better offer changes the answer to a push. What"
    " people bought is not what a push would have made them buy. Amounts of the rehearsal are not a forecast."
)
