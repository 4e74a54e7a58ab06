"""What each world is and what may not be concluded: the same sentences in the report, the JSON and the help."""

WORLDS = {
    "main": "Opening falls as pushes add up and recovers at a personal pace; the opt-out hazard rises with the pushes"
    " of the last week; habits drift mildly.",
    "no_fatigue": "Neither opening nor the hazard depends on what was received: to hold back is to lose.",
    "threshold_fatigue": "Nothing is felt up to a personal dose; beyond it opening collapses and the hazard jumps.",
    "positive_habituation": "Opening makes the next open likelier, and pushes do not tire; the hazard is that of main.",
    "heavy_drift": "As main, but habits and rates change every few weeks, so that half of a history misleads.",
}
SIMULATED = (
    "Everything here is simulated. There is no public log of e-commerce pushes with the probabilities with which they"
    " were sent, so people, sessions, opens, orders and opt-outs are drawn from a model. Day rates and hours are fitted"
    " to 2,297 real households; open rates, opt-in and delays are anchored in published figures; fatigue, the opt-out"
    " hazard and what a session is worth are assumptions, each named in the parameter file."
)
NOT_TO_CONCLUDE = (
    "That a policy is better here says that it is better in this world. It is not a forecast of a shop's sales or"
    " opt-outs, and amounts mean nothing outside of it. Run the worlds in which the learner is wrong as well, sweep the"
    " hazard, and then try it on people at random, in small numbers. The oracle knows what nobody can know; it is"
    " greedy, so a policy may pass it. Intervals hold for new draws of the same world, not for another one."
)
