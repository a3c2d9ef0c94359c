/* A library that does nothing: preloaded, it shows what any preload costs, the loader's share. */
extern int empty_library;
int empty_library;
