"""Words of which titles, texts, tags and names are made."""

from itertools import count as numbers
from itertools import islice
from random import Random

WORDS = """
able acre action after again agree air alarm album alley almond alone amber anchor angle animal answer apple april
arch area arrow artist ash aspen atlas attic august autumn avenue bacon badge bake balance ballad bamboo banjo barley
basil basket beach bean bear bell bench berry birch bird biscuit blanket bloom blue board boat bolt bone book border
bottle bottom branch brass bread breeze brick bridge bright bronze brook brush bucket bulb butter button cabin cable
cactus calm camel camp canal candle canoe canvas carbon card cargo carpet carrot castle cedar cello chair chalk chance
chapel chart cheese cherry chess chest circle city clay clean cliff clock cloud clover coal coast cobalt coffee coin
comet common compass copper coral corner cotton county couple cradle crane crater cream creek cricket crystal curtain
custom daisy dance daring dawn deep delta desert design detail diary dinner distant dolphin double dragon drawer dream
drift drum dusk eagle early earth east echo edge eight elbow elder electric ember empty engine evening exact fabric
falcon family farmer feather fellow fence fern ferry field fifty figure finch finger fire flag flame flint float flora
flute foam focus forest forge fossil fountain fox fresh friend frost fruit galaxy garden garlic gate gentle giant
ginger glass glove gold grain grape grass gravel green guitar gull hammer harbor hazel heart hedge heron hill hollow
honey horizon horse hotel house humble ice indigo iron island ivory ivy jacket jasmine jelly journal jungle juniper
kettle kitchen kite ladder lake lantern larch laurel lavender leaf lemon letter level light lilac lily linen lion
little lizard lobby lunar magnet maple marble market meadow mellow melon mentor metal mild mint mirror modern moon
morning moss mountain museum music nectar needle nest nickel night noble north nut oak oasis ocean olive onion opal
orange orbit orchard otter owl oxygen paint palm panda paper park parrot path peach pearl pebble pencil pepper piano
pilot pine planet plum pocket poem polar pond poplar poppy port prairie prism pumpkin quail quartz quiet rabbit radio
rain ranch raven record reef ribbon rice ridge ring river robin rocket roof rose round ruby rustic saddle saffron sage
sail salmon salt sand scarlet school sea season seed shadow shelf shell shore silk silver simple sketch sky slate slow
smoke snow socket solar song south space spark spice spring spruce square stable star steam stone storm story stream
street summer sun swan table tango teal temple thistle thunder tide tiger timber tin topaz tower trail train tulip
tunnel turtle twin umber uncle upper valley velvet vessel village vine violet violin walnut water wave west wheat
wheel white wild willow wind window winter wolf wonder wood wool yarrow yellow zebra zinc
""".split()


def names(random: Random, count: int) -> list[str]:
    """Return `count` different names of two words, numbered where they would repeat."""
    pairs = [f"{first}-{second}" for first in WORDS for second in WORDS if first != second]
    random.shuffle(pairs)
    laps = ("" if lap == 0 else f"-{lap}" for lap in numbers())
    return list(islice((pair + lap for lap in laps for pair in pairs), count))


class Prose:
    """Texts of common and rare words. They are cut out of one long text, which is made once."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._text = random.choices(WORDS, [1 / (rank + 1) for rank in range(len(WORDS))], k=200_000)

    def words(self, least: int, most: int) -> str:
        """Return a text of `least` to `most` words."""
        count = self._random.randint(least, most)
        begin = self._random.randrange(len(self._text) - count)
        return " ".join(self._text[begin : begin + count])
