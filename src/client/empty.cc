// libpocket.so is made of the objects of pocket_client; a library needs a source of its own.
