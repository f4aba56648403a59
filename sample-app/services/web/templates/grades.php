<?php if ($reload) { ?><meta http-equiv="refresh" content="1"><?php } ?>
<h1>Grades of <?= $e($student) ?></h1>
<?php if ($reload) { ?>
<p class="notice" data-waiting>Your enrolment is being handled …</p>
<?php } elseif ($waiting) { ?>
<p class="notice" data-waiting>Your enrolment takes longer than usual. It is not lost; look again later.</p>
<?php } ?>
<?php if ($grades === []) { ?>
<p>No courses yet.</p>
<?php } else { ?>
<table>
<thead><tr><th>Course</th><th>Points</th><th>Grade</th></tr></thead>
<tbody>
<?php foreach ($grades as $grade) { ?>
<tr data-course="<?= $e($grade['course']) ?>" data-grade="<?= $e($grade['grade']) ?>"><td><?= $e($grade['title']) ?></td><td><?= $e($grade['points']) ?></td><td><?= $e($grade['grade']) ?></td></tr>
<?php } ?>
</tbody>
</table>
<?php } ?>
<h2>What next?</h2>
<?php if ($suggestions === null) { ?>
<p>No suggestions at the moment.</p>
<?php } elseif ($suggestions === []) { ?>
<p>You take every course that there is.</p>
<?php } else { ?>
<ul class="suggestions">
<?php foreach ($suggestions as $suggestion) { ?>
<li data-suggestion="<?= $e($suggestion['course']) ?>"><a href="/?<?= $e(http_build_query(['student' => $student, 'course' => $suggestion['course']])) ?>"><?= $e($suggestion['title']) ?></a>, <?= $e($suggestion['reason']) ?></li>
<?php } ?>
</ul>
<?php } ?>
