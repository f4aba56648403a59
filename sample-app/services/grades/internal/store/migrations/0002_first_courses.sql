INSERT INTO courses (id, title, topics) VALUES
    ('algorithms',     'Algorithms by example',        '{programming,mathematics,data-structures}'),
    ('containers',     'Containers and clusters',      '{operations,linux,networking}'),
    ('data-analysis',  'Data analysis with Python',    '{python,statistics,mathematics}'),
    ('go-services',    'Services in Go',               '{go,programming,http}'),
    ('linear-algebra', 'Linear algebra',               '{mathematics}'),
    ('linux-admin',    'Linux administration',         '{linux,operations,shell}'),
    ('networking',     'How networks work',            '{networking,http}'),
    ('python-intro',   'Programming with Python',      '{python,programming}'),
    ('sql-basics',     'SQL from the start',           '{sql,databases}'),
    ('web-php',        'Web applications in PHP',      '{php,http,programming,databases}');
