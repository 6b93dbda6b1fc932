"""Questions and texts about things that have nothing to do with each other, written for softkv.

Any question and any text of two different topics are an unrelated pair; `background` measures them.
Short and long, plain and technical are mixed, as they are in a collection. A change here moves the null
level of every collection with an encoder.
"""

from typing import NamedTuple


class Topic(NamedTuple):
    """One topic: a question about it, and a text that belongs to it."""

    question: str
    text: str


TOPICS: tuple[Topic, ...] = (
    Topic(
        "How do I keep sourdough starter alive while I am on holiday?",
        "Feed the starter with equal weights of flour and water, let it bubble for an hour, then move the "
        "jar to the refrigerator. It will sleep for two weeks without harm.",
    ),
    Topic(
        "why do the tides come twice a day",
        "The Moon pulls harder on the near side of the ocean than on the far side, and so raises two bulges.",
    ),
    Topic(
        "Which visa does a visiting violinist need for a concert tour?",
        "Performers who stay fewer than ninety days apply at the consulate with a letter of invitation, "
        "proof of income and a list of the venues.",
    ),
    Topic(
        "What does a mutex protect against?",
        "Two threads that increment a shared counter without a lock lose updates, because reading and "
        "writing back are separate steps.",
    ),
    Topic(
        "How often should a horse be shod?",
        "The farrier comes every six to eight weeks, trims the hoof wall and nails on a fresh set of shoes.",
    ),
    Topic(
        "my bicycle chain skips under load",
        "A stretched drivetrain rides up on worn cogs. Measure twelve links with a ruler: more than an "
        "eighth of an inch over a foot, and both cassette and links are due.",
    ),
    Topic(
        "When was the printing press brought to Venice?",
        "Johann of Speyer received a monopoly on movable type from the lagoon's Senate in 1469.",
    ),
    Topic(
        "Can I deduct a home office from my income tax?",
        "A room counts only if it is used regularly and exclusively for the business of the taxpayer; a "
        "kitchen table does not qualify.",
    ),
    Topic(
        "What is the boiling point of liquid nitrogen?",
        "At atmospheric pressure N2 becomes a gas at 77 kelvin.",
    ),
    Topic(
        "How do penguins recognise their chicks in a crowd?",
        "In a colony of thousands each parent and its young find one another by a call in two voices, "
        "as individual as a fingerprint.",
    ),
    Topic(
        "rules for castling in chess",
        "Neither king nor rook may have moved, no piece may stand between them, and the king may not pass "
        "over an attacked square.",
    ),
    Topic(
        "Is it safe to take ibuprofen during pregnancy?",
        "Anti-inflammatory painkillers are avoided in the third trimester; paracetamol is the usual choice, "
        "after a word with the midwife.",
    ),
    Topic(
        "How is porcelain glazed?",
        "The biscuit-fired vessel is dipped into a slurry of feldspar, quartz and kaolin and goes back into "
        "the kiln at thirteen hundred degrees.",
    ),
    Topic(
        "what makes a good password",
        "Length beats symbols: five random words in a row hold out against guessing for centuries.",
    ),
    Topic(
        "Why did the Roman aqueducts have such a gentle slope?",
        "Water had to arrive by gravity alone. The channel to Nimes drops seventeen metres in fifty "
        "kilometres, over bridges and through hills.",
    ),
    Topic(
        "How do I prune tomato plants?",
        "Pinch out the side shoots that grow in the leaf axils, leave one main stem, and tie it to a cane.",
    ),
    Topic(
        "What is the offside rule in football?",
        "A forward is penalised if nearer to the goal line than both the ball and the second-last defender "
        "when a team-mate plays it.",
    ),
    Topic(
        "How does a heat pump warm a house in winter?",
        "A compressor squeezes refrigerant that evaporated outdoors; it condenses in the radiators and "
        "gives off three times the energy that the motor draws.",
    ),
    Topic(
        "Where can I hear fado in Lisbon?",
        "In the taverns of Alfama the lights go down after dinner, and a singer in a black shawl mourns "
        "over a twelve-string guitarra.",
    ),
    Topic(
        "How are black holes photographed?",
        "Eight radio dishes from Hawaii to the South Pole recorded the same source at once; a correlator "
        "joined them into one aperture as wide as the Earth.",
    ),
    Topic(
        "lost luggage compensation",
        "The carrier owes you up to about sixteen hundred euros if a suitcase has not turned up after "
        "twenty-one days. Keep the tag and file the claim at the desk.",
    ),
    Topic(
        "What did Keynes say about saving in a slump?",
        "If every household spends less at the same time, incomes fall, and in total nobody is richer: the "
        "paradox of thrift.",
    ),
    Topic(
        "How do you get red wine out of a wool carpet?",
        "Blot, never rub. Cold water with a drop of dish soap, then a paste of baking soda left overnight.",
    ),
    Topic(
        "Who composed the Goldberg Variations?",
        "Bach built an aria and thirty canons, dances and fantasias over one descending bass line.",
    ),
    Topic(
        "How does CRISPR find the place to cut?",
        "A guide RNA of twenty letters leads the Cas9 protein to the matching stretch of a genome.",
    ),
    Topic(
        "What size of wire for a forty amp circuit?",
        "Eight gauge copper carries the load of an electric range; aluminium must be two sizes thicker.",
    ),
    Topic(
        "how do I ask for a raise",
        "Choose a moment after a success, name a figure, and list three results that your manager can "
        "repeat to her own boss.",
    ),
    Topic(
        "Why are there so many languages in Papua New Guinea?",
        "Steep valleys kept eight hundred speech communities apart for millennia.",
    ),
    Topic(
        "How are pearls cultivated?",
        "A bead is slipped into the oyster with a scrap of mantle; after three years in a sea cage it has "
        "been coated with nacre.",
    ),
    Topic(
        "When should a toddler give up the afternoon nap?",
        "Most children between three and four begin to lie awake at midday. A quiet hour with picture "
        "books takes its place.",
    ),
    Topic(
        "What is a convertible bond?",
        "The holder lends money to a company at interest and may later swap the debt for its shares at a "
        "price fixed in advance.",
    ),
    Topic(
        "How do glaciers carve fjords?",
        "Ice a kilometre thick grinds a valley far below the level of the sea, which floods it when the climate warms.",
    ),
    Topic(
        "difference between espresso and filter coffee",
        "Nine bars of pressure push hot water through a puck of fine grounds in half a minute; a paper "
        "cone takes four.",
    ),
    Topic(
        "How do I center a div with CSS?",
        "Give the container `display: grid; place-items: center` and a height, and its child sits in the middle.",
    ),
    Topic(
        "What happened at the Congress of Vienna?",
        "After Napoleon's defeat, Metternich and his guests redrew the borders of Europe between balls.",
    ),
    Topic(
        "How long does a tattoo take to heal?",
        "The skin peels in the first fortnight. Keep it clean, out of the sun and out of the pool until the "
        "ink no longer shines.",
    ),
    Topic(
        "What causes a fever?",
        "White blood cells release messengers that set the thermostat in the hypothalamus a few degrees higher.",
    ),
    Topic(
        "how do hot air balloons steer",
        "The pilot climbs or sinks until a layer of wind blows in the wanted direction.",
    ),
    Topic(
        "What is the longest-running play in the West End?",
        "The Mousetrap has been on since 1952; at the curtain the audience is begged to keep the murderer secret.",
    ),
    Topic(
        "How are earthquakes measured?",
        "A seismograph writes the shaking of the ground; each step of magnitude stands for about "
        "thirty-two times the energy set free along the fault.",
    ),
    Topic(
        "Which knots should a sailor know?",
        "A bowline makes a loop that never slips, a cleat hitch holds the mooring, and a figure of eight "
        "stops a sheet from running out.",
    ),
    Topic(
        "my landlord will not return the deposit",
        "The tenant may sue in small claims court if no itemised statement of damages came within thirty "
        "days of moving out.",
    ),
    Topic(
        "How does a bloom filter save memory?",
        "Several hash functions set bits in an array; a lookup may say yes wrongly, never no.",
    ),
    Topic(
        "Why does bronze turn green?",
        "Copper in the statue reacts with rain and carbon dioxide to a patina of basic carbonates, which "
        "shields the metal beneath.",
    ),
    Topic(
        "What is the best way to learn to juggle?",
        "Begin with one beanbag thrown from hand to hand at eye level, add the second as the first peaks, "
        "and stand facing a bed so that you need not bend so far.",
    ),
    Topic(
        "Who decides which words enter the dictionary?",
        "Lexicographers collect printed citations, and an entry is drafted once a usage has spread and endured.",
    ),
    Topic(
        "How do noise-cancelling headphones work?",
        "A microphone listens to the hum of the cabin, and the speaker plays its mirror image a moment later.",
    ),
)
