/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_texts.c - what `inferd bench` sends when it is given no texts: sentiment from one word to a
 * paragraph, mostly short, as such requests are. All written for this purpose.
 */
#include <string.h>

#include "cli/bench_requests.h"

static const char *const texts[] = {
    "I love this!",
    "This is awful.",
    "Great.",
    "Not what I expected, but not bad either.",
    "The food was cold and the waiter was rude.",
    "Absolutely wonderful from beginning to end.",
    "meh",
    "I would not recommend this to anyone.",
    "Works as described.",
    "The battery lasts two days, which is more than I can say of the last one I bought.",
    "Delivery took three weeks and nobody answered my letters.",
    "A charming little film with a great deal of heart.",
    "It broke on the second day.",
    "Best purchase of the year, and I do not say that lightly.",
    "The plot makes no sense, the jokes fall flat, and the ending comes an hour too late.",
    "Five stars.",
    "Perfectly fine for the price.",
    "I fell asleep halfway through.",
    "My children have watched it eleven times and still laugh at every scene.",
    "The seams came apart in the wash and the colour ran into everything else.",
    "Superb acting carries a thin script further than it deserves to go.",
    "Never again.",
    "The staff went out of their way to help us when our luggage was lost, found it the same "
    "evening, "
    "and sent a bottle of wine to our room with an apology for something that was not even their "
    "fault.",
    "Good value, quick delivery, no complaints.",
    "There is a fine story somewhere in these two and a half hours, but the director never finds "
    "it, "
    "and what remains is a parade of handsome pictures without anybody in them to care about.",
    "Too loud, too long, too expensive.",
    "Quiet, patient and very moving.",
    "I wanted to like it.",
    "The new version fixed everything that annoyed me about the old one.",
    "Customer service hung up on me twice.",
    "Every room had a view of the sea and the breakfast alone was worth the trip.",
    "The instructions are a joke, half of the screws were missing, and after four hours of work "
    "the "
    "shelf still leans to the left; I have asked for my money back and I am still waiting for it.",
    "Pleasant enough.",
    "An honest, funny and beautifully written book about getting old.",
    "It does one thing and does it well.",
    "The sound cuts out whenever somebody walks between the speaker and the telephone.",
    "We laughed, we cried, we missed the last train home and did not mind.",
    "Disappointing in almost every respect.",
    "Sharp screen, comfortable keys, and a fan that nobody has ever heard.",
    "What a waste of a good cast.",
};

inferd_status ifd_bench_texts_built_in(struct ifd_bench_texts *t, inferd_error *err)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        inferd_status s = ifd_bench_texts_add(t, texts[i], strlen(texts[i]), err);
        if (s)
            return s;
    }
    return INFERD_OK;
}
