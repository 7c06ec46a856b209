// The library's interface for the engine and Python: the operations, and functions that pack weights for them.

#include <exception>
#include <openvino/core/extension.hpp>
#include <openvino/core/op_extension.hpp>

#include "cached_attention.hpp"
#include "chain_operation.hpp"
#include "products_operation.hpp"
#include "shared.hpp"
#include "source_attention.hpp"

OPENVINO_CREATE_EXTENSIONS(std::vector<ov::Extension::Ptr>({
    std::make_shared<ov::OpExtension<lilliput::QuantizedProducts>>(),
    std::make_shared<ov::OpExtension<lilliput::CachedAttention>>(),
    std::make_shared<ov::OpExtension<lilliput::SourceMemory>>(),
    std::make_shared<ov::OpExtension<lilliput::SourceAttention>>(),
    std::make_shared<ov::OpExtension<lilliput::Chain>>(),
}));

extern "C" {

const char* lilliput_instructions() {
#ifdef LILLIPUT_MATRIX_UNIT
    if (lilliput::has_matrix_unit()) return "avx512-vnni, amx";
#endif
    return lilliput::INSTRUCTIONS;
}

// What went wrong in an owner's operations since the last call; null: nothing. Valid until the thread's next call.
const char* lilliput_failure(int64_t owner) {
    static thread_local std::string last;
    last = lilliput::failure.take(owner);
    return last.empty() ? nullptr : last.c_str();
}

// The number of a new cache.
int64_t lilliput_new_cache() { return lilliput::caches.next(); }

// Releases weights that no operation will ask for.
void lilliput_forget(int64_t number) { lilliput::registry.forget(number); }

// Packs weights and returns their number, for an operation's attribute; 0: there is not enough memory.
int64_t lilliput_pack(const lilliput::Layout* layout, const lilliput::Stored* stored, int64_t threads) {
    try {
        auto packed = std::make_shared<const lilliput::Packed>(*layout);
        lilliput::shared_of<lilliput::Team>(threads)->run(
            layout->blocks(), [&](int64_t block) { lilliput::pack(*layout, *stored, block, packed->bytes); });
        return lilliput::registry.add(std::move(packed));
    } catch (const std::exception&) {  // std::bad_alloc, or what others throw because of it
        return 0;
    }
}

}
