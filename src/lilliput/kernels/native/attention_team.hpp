// Attention by several threads, with its cache.

#pragma once

#include <memory>

#include "attention.hpp"
#include "team.hpp"

namespace lilliput {

struct AttentionTeam {
    Heads heads{};
    int64_t window = 0;   // how far back a token sees; 0: to the start
    int64_t threads = 1;
    std::shared_ptr<Team> team;
    std::shared_ptr<Cache> cache;

    // New tokens, for which the cache has been extended: `outputs` [sequences, tokens, heads * width].
    void run(const Places& queries, const Places& keys, const Places& values, int64_t tokens, const int32_t* real,
             float* outputs) const {
        const Attention attention{heads, window, tokens, *cache, queries, real};
        write(keys, values, attention.past());
        attend(attention, outputs);
    }

private:
    // The new tokens to the cache, a page by one thread.
    void write(const Places& keys, const Places& values, int64_t past) const {
        const int64_t first = past / PAGE, pages = (cache->length - 1) / PAGE + 1 - first;
        team->run(cache->count() * pages, [&](int64_t task) {
            const int64_t sequence = task / pages, index = first + task % pages;
            Page& page = cache->page(sequence, index);
            const int64_t end = std::min(cache->length, (index + 1) * PAGE);
            for (int64_t token = std::max(past, index * PAGE); token < end; token++) {
                for (int64_t head = 0; head < heads.keys; head++) {
                    page.write(token % PAGE, head, keys.at(sequence, token - past, head),
                               values.at(sequence, token - past, head));
                }
            }
        });
    }

    // A task: some tokens of a sequence and the heads that share keys; where those are too few for all threads, some of
    // the pages, too.
    void attend(const Attention& attention, float* outputs) const {
        const int64_t sharing = heads.sharing(), tokens = attention.tokens;
        const int64_t step = std::max<int64_t>(1, ROWS_A_TASK / sharing), steps = (tokens + step - 1) / step;
        const int64_t whole = cache->count() * heads.keys * steps;
        const int64_t spans = std::min((threads + whole - 1) / whole, attention.end_page(tokens - 1));
        std::vector<std::unique_ptr<Gathered>> parts(whole * spans);
        const auto first_of = [&](int64_t task) { return (steps - 1 - task % steps) * step; };  // the longest first
        const auto last_of = [&](int64_t task) { return std::min(tokens, first_of(task) + step); };
        const auto write_out = [&](int64_t task) {
            const int64_t head = task / steps % heads.keys, sequence = task / steps / heads.keys;
            const Gathered& all = combined(&parts[task * spans], spans);
            for (int64_t row = 0; row < (last_of(task) - first_of(task)) * sharing; row++) {
                const int64_t token = first_of(task) + row / sharing, query = head * sharing + row % sharing;
                float* to = outputs + ((sequence * tokens + token) * heads.queries + query) * heads.width;
                const Floats share = all_lanes(1.0f / all.weights[row]);
                for (int64_t i = 0; i < heads.width; i += LANES) {
                    store_floats(to + i, multiply(load_floats(all.values.data() + row * heads.width + i), share));
                }
            }
        };
        team->run(whole * spans, [&](int64_t part) {
            const int64_t task = part / spans, span = part % spans;
            const int64_t head = task / steps % heads.keys, sequence = task / steps / heads.keys;
            const int64_t first = first_of(task), last = last_of(task);
            const int64_t begin = attention.first_page(first), end = attention.end_page(last - 1);
            const int64_t pages = (end - begin + spans - 1) / spans;
            const int64_t from = begin + span * pages, to = std::min(end, from + pages);
            parts[part] = std::make_unique<Gathered>((last - first) * sharing, heads.width);
            attention.gather(sequence, head, first, last, from, to, *parts[part]);
            if (spans == 1) {
                write_out(task);
                parts[part].reset();
            }
        });
        for (int64_t task = 0; spans > 1 && task < whole; task++) write_out(task);
    }

    // What several spans gathered, in the first one's place.
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
