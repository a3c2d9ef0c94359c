/* names.h -- public functions of the libraries that are linked into libpprofshim.so, and some names
 * of its own; each is one that it would reach if it were bound by name. */
#define NAMES(X)                                                                                    \
	X(adler32) X(adler32_z) X(compress) X(compress2) X(compressBound) X(crc32) X(crc32_combine) \
	X(crc32_z) X(deflate) X(deflateBound) X(deflateEnd) X(deflateInit2_) X(deflateInit_)        \
	X(deflateParams) X(deflatePending) X(deflateReset) X(deflateResetKeep)                      \
	X(deflateSetHeader) X(deflateTune) X(get_crc_table) X(inflate) X(inflateEnd)                \
	X(inflateInit2_) X(inflateInit_) X(inflateReset) X(uncompress) X(zError) X(zlibVersion)     \
	X(_tr_init) X(_tr_flush_block) X(_tr_align) X(zcalloc) X(zcfree)                            \
	X(protobuf_c_buffer_simple_append) X(protobuf_c_message_check)                              \
	X(protobuf_c_message_free_unpacked) X(protobuf_c_message_get_packed_size)                   \
	X(protobuf_c_message_init) X(protobuf_c_message_pack)                                       \
	X(protobuf_c_message_pack_to_buffer) X(protobuf_c_message_unpack) X(protobuf_c_version)     \
	X(cplus_demangle) X(cplus_demangle_v3) X(cplus_demangle_v3_callback) X(rust_demangle)       \
	X(rust_demangle_callback) X(xmalloc) X(xrealloc)                                            \
	X(perftools__profiles__profile__init) X(perftools__profiles__profile__pack)                 \
	X(heap_sample) X(heap_forget) X(log_line) X(desk_start) X(os_map) X(sys_call6) X(arena_alloc)
