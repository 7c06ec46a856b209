// Attention by several threads, with its cache.

#pragma once

#include <memory>

#include "attention_codes.hpp"
#include "attention_floats.hpp"
#include "team.hpp"

namespace lilliput {

constexpr int64_t ROWS_A_TASK = 96;  // queries of all heads that share keys: sixteen register tiles

struct KeysAndValues {
    Places keys, values;
};

// How attention is split into tasks. A task is some tokens of a sequence and one head of keys; with few queries,
// several heads; if these are too few for all threads, only some of the pages.
class AttentionCut {
public:
    const bool few;

    AttentionCut(const Attention& attention, int64_t threads)
        : few(attention.tokens * attention.heads.sharing() <= FEW_ROWS), attention(attention) {
        const int64_t tokens = attention.tokens, keys = attention.heads.keys, sequences = attention.cache.count();
        step = few ? tokens : std::max<int64_t>(1, ROWS_A_TASK / attention.heads.sharing());
        steps = step == 0 ? 0 : (tokens + step - 1) / step;
        together = few ? std::clamp<int64_t>(sequences * keys / threads, 1, keys) : 1;
        groups = (keys + together - 1) / together;
        tasks = sequences * groups * steps;
        spans = tasks == 0 ? 1 : std::min((threads + tasks - 1) / tasks, attention.end_page(tokens - 1));
    }

    Part part(int64_t task, int64_t span) const {
        const int64_t group = task / steps % groups, first = (steps - 1 - task % steps) * step;  // longest first
        Part part{task / steps / groups, group * together, std::min(attention.heads.keys, (group + 1) * together),
                  first, std::min(attention.tokens, first + step), 0, 0};
        const int64_t begin = attention.first_page(first), end = attention.end_page(part.end_token - 1);
        const int64_t pages = (end - begin + spans - 1) / spans;
        part.first_page = std::min(end, begin + span * pages);
        part.end_page = std::min(end, part.first_page + pages);
        return part;
    }

    int64_t tasks, spans;  // spans: ranges of pages in each task

private:
    const Attention& attention;
    int64_t step, steps;       // tokens of a task; tasks that a sequence's tokens are split into
    int64_t together, groups;  // heads of a task; tasks that the heads are split into
};

struct AttentionTeam {
    Heads heads{};
    float scale = 1;     // multiplies the products of queries and keys
    int64_t window = 0;  // how far back a token sees; 0: to the start
    int64_t threads = 1;
    std::shared_ptr<Team> team;
    std::shared_ptr<Cache> cache;

    // Attention of new tokens, for which the cache has been extended: `outputs` [sequences, tokens, heads * width].
    void run(const Places& queries, const KeysAndValues& added, int64_t tokens, const int32_t* mask, const Bias& bias,
             float* outputs) const {
        const int64_t past = cache->length - tokens;
        if (tokens > 1) write(added, past);
        attend({heads, scale, window, tokens, past, *cache, queries, mask, bias}, tokens > 1 ? nullptr : &added, outputs);
    }

    // Attention of tokens that see all of the cache, which holds another sequence.
    void run_over_source(const Places& queries, int64_t tokens, const int32_t* mask, float* outputs) const {
        attend({heads, scale, 0, tokens, cache->length, *cache, queries, mask, {}}, nullptr, outputs);
    }

    // Writes tokens from `past` on to the cache, which has been extended; one thread per page.
    void write(const KeysAndValues& added, int64_t past) const {
        const int64_t first = past / PAGE, pages = (cache->length - 1) / PAGE + 1 - first;
        team->run(cache->count() * pages, [&](int64_t task) {
            const int64_t sequence = task / pages, index = first + task % pages;
            const int64_t end = std::min(cache->length, (index + 1) * PAGE);
            for (int64_t place = std::max(past, index * PAGE); place < end; place++) {
                write_token(added, sequence, place - past, place, 0, heads.keys);
            }
        });
    }

private:
    void write_token(const KeysAndValues& added, int64_t sequence, int64_t token, int64_t place, int64_t first_head,
                     int64_t end_head) const {
        Page& page = cache->page(sequence, place / PAGE);
        for (int64_t head = first_head; head < end_head; head++) {
            page.write(place % PAGE, head, added.keys.at(sequence, token, head), added.values.at(sequence, token, head));
        }
    }

    // A single token is not worth a round of writing: if it is `unwritten`, the thread that reads its page writes it.
    void attend(const Attention& attention, const KeysAndValues* unwritten, float* outputs) const {
        const AttentionCut cut(attention, threads);
        const int64_t page = attention.past / PAGE;
        std::vector<std::unique_ptr<Gathered>> gathered(cut.tasks * cut.spans);
        team->run(cut.tasks * cut.spans, [&](int64_t number) {
            const Part part = cut.part(number / cut.spans, number % cut.spans);
            if (unwritten && part.first_page <= page && page < part.end_page) {
                write_token(*unwritten, part.sequence, 0, attention.past, part.first_head, part.end_head);
            }
            auto& own = gathered[number];
            own = std::make_unique<Gathered>(part.end_head - part.first_head, attention.rows(part), heads.width);
            cut.few ? gather_codes(attention, part, *own) : gather_floats(attention, part, *own);
            if (cut.spans == 1) {
                write_out(part, attention.tokens, *own, outputs);
                own.reset();
            }
        });
        for (int64_t task = 0; cut.spans > 1 && task < cut.tasks; task++) {
            write_out(cut.part(task, 0), attention.tokens, combined(&gathered[task * cut.spans], cut.spans), outputs);
        }
    }

    void write_out(const Part& part, int64_t tokens, const Gathered& all, float* outputs) const {
        const int64_t sharing = heads.sharing(), rows = all.rows;
        for (int64_t i = 0; i < static_cast<int64_t>(all.weights.size()); i++) {
            const int64_t token = part.first_token + i % rows / sharing;
            const int64_t query = (part.first_head + i / rows) * sharing + i % sharing;
            float* to = outputs + ((part.sequence * tokens + token) * heads.queries + query) * heads.width;
            const Floats share = all_lanes(1.0f / all.weights[i]);
            for (int64_t k = 0; k < heads.width; k += LANES) {
                store_floats(to + k, multiply(load_floats(all.values.data() + i * heads.width + k), share));
            }
        }
    }

    // Combines what several spans gathered, in place of the first.
    const Gathered& combined(std::unique_ptr<Gathered>* parts, int64_t count) const {
        Gathered& all = *parts[0];
        const int64_t rows = all.largest.size(), width = heads.width;
        for (int64_t i = 1; i < count; i++) {
            const Gathered& other = *parts[i];
            for (int64_t row = 0; row < rows; row++) {
                const float largest = std::max(all.largest[row], other.largest[row]);
                const float own = std::exp(all.largest[row] - largest), others = std::exp(other.largest[row] - largest);
                all.largest[row] = largest;
                all.weights[row] = all.weights[row] * own + other.weights[row] * others;
                for (int64_t k = row * width; k < (row + 1) * width; k++) {
                    all.values[k] = all.values[k] * own + other.values[k] * others;
                }
            }
        }
        return all;
    }
};

}  // namespace lilliput
