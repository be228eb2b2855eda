"""Names of things that photographs show, for keywords of pictures whose neighbours have no tags. Written for this."""

from typing import Final

COMMON_WORDS: Final = tuple(
    word.replace("_", " ")
    for line in (
        # animals
        "ant bat bear beaver bee beetle bird bison butterfly camel cat chicken cow crab crocodile deer dog dolphin",
        "dragonfly duck eagle elephant emu fish flamingo fly fox frog giraffe goat goose gorilla hamster hawk",
        "hedgehog heron hippopotamus horse ibis insect jellyfish kangaroo koala leopard lion lizard llama lobster",
        "mayfly monkey mouse octopus ostrich owl panda parrot peacock pelican penguin pig pigeon platypus rabbit",
        "raccoon rat rhinoceros rooster scorpion seahorse seal shark sheep shrimp sloth snail snake spider squirrel",
        "starfish swan tick tiger toad turkey turtle whale wolf worm zebra puppy kitten",
        # food
        "apple apricot asparagus avocado bagel banana bean beer beetroot blueberry bread broccoli burger butter",
        "cabbage cake candy carrot cauliflower celery cereal cheese cherry chilli chocolate coconut coffee cookie",
        "corn cucumber doughnut egg eggplant fig garlic ginger grape grapefruit honey ice_cream juice kiwi leek",
        "lemon lettuce lime mango melon milk mushroom nectarine noodles nut onion orange papaya passion_fruit pasta",
        "peach pear pepper pie pineapple pizza plum pomegranate potato pumpkin radish raspberry rice salad salami",
        "sandwich satsuma sausage soup spinach steak strawberry sushi tea tofu tomato watermelon wine yoghurt",
        "zucchini",
        # clothes and what is carried
        "backpack bag bathrobe belt bikini blazer blouse boot bow_tie bra bracelet cap cardigan cloak coat dress",
        "earring glasses glove gown handbag hat helmet high_heels hoodie jacket jeans jersey jumper kimono leggings",
        "mask mitten necklace overalls pajamas pants polo_shirt poncho purse ring sandal scarf shirt shoe shorts",
        "skirt slipper sneaker sock stocking suit suitcase sunglasses sweater swimsuit tie tights trousers t-shirt",
        "umbrella underwear vest wallet watch",
        # rooms and what stands in them
        "armchair bathtub bed bench blanket blinds bookcase bottle bowl box broom bucket cabinet candle carpet",
        "chair chandelier clock closet couch crib cup curtain cushion desk door drawer fan faucet fence fireplace",
        "fork frying_pan glass hammock iron jar jug kettle key knife ladder lamp lampshade lock mirror mug napkin",
        "oven paper pen pencil picture_frame pillow pitcher plate pot radiator refrigerator rug scissors screw",
        "screwdriver shelf shower sink sofa spoon stapler stool stove table teapot toaster toilet towel tray vase",
        "wardrobe washing_machine wheelchair window",
        # machines, instruments, tools, toys
        "accordion anchor axe ball balloon barrel basketball binoculars book calculator camera cannon cello",
        "cellphone compass computer drum euphonium flag flute football gramophone grand_piano guitar gun hammer",
        "harp headphones inline_skate joystick keyboard laptop loudspeaker mandolin metronome microphone microscope",
        "monitor money mousepad newspaper organ pistol playing_cards printer projector puzzle racket radio",
        "remote_control revolver rifle robot rope saxophone scale skateboard ski snowboard stethoscope surfboard",
        "sword syringe teddy_bear telephone telescope television tent toy trombone trumpet typewriter violin wrench",
        "yin_yang",
        # vehicles
        "aeroplane airplane ambulance bicycle boat bulldozer bus canoe car crane ferry fire_engine helicopter",
        "motorbike motorcycle pickup rocket sailing_boat schooner scooter ship sports_car submarine taxi tank",
        "tractor trailer train tram truck van wagon wheel",
        # plants and places
        "beach bonsai bridge building cactus castle cathedral church city cliff clouds coral daisy desert farm",
        "field fire flower forest fountain garden grass harbour hill house island lake leaf lighthouse lotus lily",
        "market mountain mosque pagoda palace palm playground pyramid rainbow restaurant river road rock rose ruins",
        "sea sky snow stadium stop_sign street sunflower sunset swimming_pool temple tower traffic_light tree tulip",
        "tunnel valley village volcano waterfall water_lily windmill joshua_tree minaret sign",
        # people
        "baby child crowd face girl hand man people person woman",
    )
    for word in line.split()
)
