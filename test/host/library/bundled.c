/* bundled -- a plugin that brings its own libz.so.1, by RUNPATH $ORIGIN, of a newer version. */
int poison_answer(void);
int plugin_run(void);

int plugin_run(void) { return poison_answer(); }
